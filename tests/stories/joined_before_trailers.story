# Only the end was seen.
joined
0 client request 1 /a.A/One unseen
1 server response 1 unseen
2 server trailers 1 5
expect
ended 1 _unknown NOT_FOUND ?-2 0/0
loss unseen_requests 1
