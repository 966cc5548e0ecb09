# The same where streams may have been opened before the observer came.
joined
0 client request 1 /a.A/One unseen
1 server response 1 literal
2 server trailers 1 0 literal
3 server trailers 1 13 literal
expect
ended 1 _unknown OK ?-2 0/0
loss unseen_requests 1
