# The end of a call found the ring full: nothing is claimed of it.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0 lost
3 client request 3 /a.A/One
4 server response 3
5 server trailers 3 0
9 server gone
expect
started 1 /a.A/One @0
started 3 /a.A/One @3
ended 3 /a.A/One _unobserved 3-5 0/0
ended 1 /a.A/One _unobserved 0-9 0/0
loss lost_records 1
loss resyncs 1
loss unknown_fields 2
loss unknown_statuses 1
loss doubtful_calls 1
