# Only a CANCEL of the server can be the deadline; other codes are what they are.
fresh
0 client request 1 /a.A/One timeout=100m
50 server reset 1 8
200 client request 3 /a.A/One timeout=100m
300 server reset 3 8
400 client request 5 /a.A/One timeout=100m
600 server reset 5 2
expect
started 1 /a.A/One @0
ended 1 /a.A/One CANCELLED 0-50 0/0
started 3 /a.A/One @200
ended 3 /a.A/One DEADLINE_EXCEEDED 200-300 0/0
started 5 /a.A/One @400
ended 5 /a.A/One INTERNAL 400-600 0/0
