# Plain HTTP/2, gRPC-Web and Connect beside gRPC.
fresh
0 client request 1 /a.A/One type=application/grpc-web+proto
1 server response 1 type=application/grpc-web+proto
2 server data 1 50 end
3 client request 3 /page method=GET only end
4 server response 3 type=text/html
5 server data 3 100 end
6 client request 5 /a.A/One type=application/json
7 server response 5 type=application/json end
8 client request 7 /a.A/One type=application/grpc+proto
9 server response 7 type=application/grpc+proto
10 server trailers 7 0
expect
started 7 /a.A/One @8
ended 7 /a.A/One OK 8-10 0/0
loss non_grpc_requests 2
loss grpc_web_requests 1
