# The rest of a block says nothing, and what it inserted is unknown.
joined
0 client request 1 /a.A/One continuation=10 unseen=first
1 server response 1
2 server trailers 1 0
3 client request 3 /a.A/One
4 server response 3
5 server trailers 3 0
expect
ended 1 _unknown OK ?-2 0/0
started 3 _unknown @3
ended 3 _unknown OK 3-5 0/0
loss unknown_fields 4
loss unseen_requests 1
