# A cancel, where the timeout may have been among what could not be known.
joined
0 client request 1 /a.A/One timeout=1S unseen
10 client request 3 /a.A/One timeout=1S literal
11 server trailers-only 3 0 literal
20 client request 5 /a.A/One timeout=1S
1500 client reset 5 8
expect
started 3 /a.A/One @10
ended 3 /a.A/One OK 10-11 0/0
started 5 _unknown @20
ended 5 _unknown _unobserved 20-1500 0/0
loss unknown_fields 5
loss unknown_statuses 1
