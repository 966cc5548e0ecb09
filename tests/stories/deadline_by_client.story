# 2 % and 2 ms of 1000 ms: from 978 ms on it was the deadline, whatever the code.
fresh
0 client request 1 /a.A/One timeout=1000m
977 client reset 1 8
2000 client request 3 /a.A/One timeout=1000000u
2978 client reset 3 8
3000 client request 5 /a.A/One timeout=1S
4500 client reset 5 0
5000 client request 7 /a.A/One timeout=1M
9000 client reset 7 8
expect
started 1 /a.A/One @0
ended 1 /a.A/One CANCELLED 0-977 0/0
started 3 /a.A/One @2000
ended 3 /a.A/One DEADLINE_EXCEEDED 2000-2978 0/0
started 5 /a.A/One @3000
ended 5 /a.A/One DEADLINE_EXCEEDED 3000-4500 0/0
started 7 /a.A/One @5000
ended 7 /a.A/One CANCELLED 5000-9000 0/0
