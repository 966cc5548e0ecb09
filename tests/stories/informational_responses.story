# 1xx are not the response.
fresh
0 client request 1 /a.A/One
1 server headers 1
  :status: 100
2 server headers 1
  :status: 103
  link: style
3 server response 1
4 server trailers 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-4 0/0
