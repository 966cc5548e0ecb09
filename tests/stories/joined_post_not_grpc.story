# A POST whose response shows that it was not gRPC, and one that never tells.
joined
0 client headers 1 unseen
  :method: POST
  :path: /form
  content-type: text/plain
10 client headers 3
  :method: POST
  :path: /form
  content-type: text/plain
11 server headers 3
  :status: 200
  content-type: text/html
12 server data 3 100 end
20 client headers 5
  :method: POST
  :path: /form
  content-type: text/plain
21 client reset 5 8
expect
loss unknown_fields 4
loss non_grpc_requests 1
loss unrecognised_streams 1
