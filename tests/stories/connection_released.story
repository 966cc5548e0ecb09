# The application closed an older socket: what is in its send queue may follow, and then nothing does.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/Two
1 server released
2 server response 1
2 server trailers 1 0
4000 observer expire 60000
6000 observer expire 60000
expect
started 1 /a.A/One @0
started 3 /a.A/Two @0
ended 1 /a.A/One OK 0-2 0/0
ended 3 /a.A/Two UNAVAILABLE 0-1 0/0
