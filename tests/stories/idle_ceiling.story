# Nothing came for too long; what comes later is not a second call.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/Two
500 client data 3 10
600 client request 5 /a.A/One
1000 observer expire 800
1100 server response 1
1100 server trailers 1 0
expect
started 1 /a.A/One @0
started 3 /a.A/Two @0
started 5 /a.A/One @600
ended 1 /a.A/One _unobserved 0-1000 0/0
bytes /a.A/Two 10/0
loss idle_calls 1
