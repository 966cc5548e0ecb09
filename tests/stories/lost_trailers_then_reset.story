# The end was lost, and what follows a complete response was seen: not INTERNAL.
fresh
0 client request 1 /a.A/One literal
1 server response 1 literal
2 server trailers 1 0 literal lost
2 server reset 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One _unobserved 0-2 0/0
loss lost_records 1
loss resyncs 1
loss unknown_statuses 1
