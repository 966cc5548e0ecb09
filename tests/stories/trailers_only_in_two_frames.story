# A proxy cuts a trailers-only response in two: the end of the stream comes in an empty DATA frame.
fresh
0 client request 1 /a.A/One
3 server response 1 more=grpc-status:7
4 server data 1 0 end
expect
started 1 /a.A/One @0
ended 1 /a.A/One PERMISSION_DENIED 0-4 0/0
