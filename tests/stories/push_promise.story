# Changes the compression state, and begins no call.
fresh
0 client request 1 /a.A/One
1 server push 1
  :method: GET
  :path: /style
  x-new: 1
2 server response 1 more=x-new:1
3 server headers 2 end
  :status: 200
4 server trailers 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-4 0/0
