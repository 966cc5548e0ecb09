# The head of the response was lost, and trailers do not say: the HTTP status might have.
fresh
0 client request 1 /a.A/One
1 server response 1 status=503 lost
2 server headers 1 end
  x-other: 1
expect
started 1 /a.A/One @0
ended 1 /a.A/One _unobserved 0-2 0/0
loss lost_records 1
loss resyncs 1
loss unknown_statuses 1
