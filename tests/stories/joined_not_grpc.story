# Plain HTTP/2, indexed: nothing ever says gRPC, and it is never taken for it.
joined
0 client headers 1 unseen end
  :method: GET
  :path: /page
  user-agent: browser
1 server headers 1 unseen
  :status: 200
  content-type: text/html
10 client headers 3 end
  :method: GET
  :path: /page
  user-agent: browser
11 server headers 3
  :status: 200
  content-type: text/html
12 server data 3 100 end
expect
loss unknown_fields 3
loss non_grpc_requests 1
