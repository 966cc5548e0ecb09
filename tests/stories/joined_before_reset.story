# The client gives up a call whose beginning was not seen: whether by its deadline, nobody knows.
joined
0 client request 1 /a.A/One unseen
1 client request 3 /a.A/One literal
2 server trailers-only 3 0
3 client reset 1 8
4 client request 5 /a.A/One literal unseen
5 server reset 1 2
expect
started 3 /a.A/One @1
ended 3 /a.A/One OK 1-2 0/0
ended 1 _unknown _unobserved ?-3 0/0
loss unknown_statuses 1
loss unseen_requests 1
