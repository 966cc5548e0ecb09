# The walker lost its place in the responses; a call that shows life afterwards is not in doubt.
fresh
0 client request 1 /a.A/One
0 client request 3 /a.A/Two
1 server gap
2 server response 1 literal
3 server gone
expect
started 1 /a.A/One @0
started 3 /a.A/Two @0
ended 3 /a.A/Two _unobserved 0-3 0/0
ended 1 /a.A/One UNAVAILABLE 0-3 0/0
loss gaps 1
loss resyncs 1
loss doubtful_calls 1
