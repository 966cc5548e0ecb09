# Lasts from the first HEADERS to the trailers; bytes are told on the way.
fresh
0 client request 1 /a.A/Chat
1 server response 1
10 client data 1 100
11 server data 1 200
12 client request 3 /a.A/One
12 server trailers-only 3 0
13 observer expire 60000
20 client data 1 1 end
30 server data 1 2
31 server trailers 1 0
expect
started 1 /a.A/Chat @0
started 3 /a.A/One @12
ended 3 /a.A/One OK 12-12 0/0
bytes /a.A/Chat 100/200
ended 1 /a.A/Chat OK 0-31 1/2
