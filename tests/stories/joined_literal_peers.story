# tonic, grpc-js and nghttp2 send what matters literally: nothing is missed.
joined
0 client request 1 /a.A/One unseen literal
1 server response 1 unseen literal
2 server trailers 1 0 unseen literal
10 client request 3 /a.A/One literal
11 server response 3 literal
12 server trailers 3 0 literal
expect
started 3 /a.A/One @10
ended 3 /a.A/One OK 10-12 0/0
