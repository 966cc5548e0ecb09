# Joined on trailers that are all index: nobody knows who is the server, until the next request.
joined
0 client request 1 /a.A/One unseen
1 server trailers-only 1 0 unseen
2 client request 3 /a.A/One unseen
3 server response 3 unseen
4 server trailers 3 0
5 client request 5 /a.A/One literal
6 server trailers-only 5 0 literal
expect
started 5 /a.A/One @5
ended 5 /a.A/One OK 5-6 0/0
loss unknown_fields 1
loss undecided_blocks 1
