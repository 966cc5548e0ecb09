# All that the second call says stands in tables older than the observer. Its form tells that it is gRPC, once
# it has ended; from then on the connection is known. New entries are known at once.
joined
0 client request 1 /a.A/One unseen
1 server response 1 unseen
2 server trailers 1 0 unseen
10 client request 3 /a.A/One
11 server response 3
12 server trailers 3 0
20 client request 5 /a.A/One
21 server response 5
22 server trailers 5 5
30 client request 7 /a.A/Two
31 server response 7
32 server trailers 7 5
expect
started 3 _unknown @10
ended 3 _unknown _unobserved 10-12 0/0
started 5 _unknown @20
ended 5 _unknown _unobserved 20-22 0/0
started 7 /a.A/Two @30
ended 7 /a.A/Two _unobserved 30-32 0/0
loss unknown_fields 17
loss unknown_statuses 3
