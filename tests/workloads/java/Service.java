import io.grpc.Context;
import io.grpc.HandlerRegistry;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyServerBuilder;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Server: carries out the commands that requests bring. */
final class Service extends HandlerRegistry {
    private static final long STOPPING_MS = 300;

    private final Tally tally = new Tally();
    private final ScheduledExecutorService clock = Executors.newScheduledThreadPool(4);
    private Server server;

    void start(Peer.Options options) throws IOException {
        NettyServerBuilder builder = NettyServerBuilder.forAddress(
                        new InetSocketAddress(options.text("host", "127.0.0.1"), options.number("port", 0)))
                .fallbackHandlerRegistry(this)
                .maxInboundMessageSize(2 * Wire.MAX_MESSAGE)
                .maxInboundMetadataSize(256 << 10);
        if (options.number("max-age-ms", 0) > 0) {
            builder.maxConnectionAge(options.number("max-age-ms", 0), TimeUnit.MILLISECONDS)
                    .maxConnectionAgeGrace(5, TimeUnit.SECONDS);
        }
        if (options.number("keepalive-ms", 0) > 0) {
            builder.keepAliveTime(options.number("keepalive-ms", 0), TimeUnit.MILLISECONDS);
        }
        if (options.number("max-streams", 0) > 0) {
            builder.maxConcurrentCallsPerConnection(options.number("max-streams", 0));
        }
        String certificates = options.text("tls", "");
        if (!certificates.isEmpty()) {
            SslContextBuilder security = SslContextBuilder.forServer(
                    new File(certificates, "server.pem"), new File(certificates, "server.key"));
            builder.sslContext(GrpcSslContexts.configure(security, SslProvider.OPENSSL).build());
        }
        server = builder.build().start();
        System.out.println("READY port=" + server.getPort());
        System.out.flush();
    }

    void tell() {
        tally.print();
    }

    void stop() throws InterruptedException {
        server.shutdown();
        if (!server.awaitTermination(STOPPING_MS, TimeUnit.MILLISECONDS)) {
            server.shutdownNow();
            server.awaitTermination(STOPPING_MS, TimeUnit.MILLISECONDS);
        }
        tally.print();
    }

    @Override
    public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
        String path = "/" + name;
        String kind = Wire.METHODS.get(path);
        if (kind == null) {
            tally.started(path);
            tally.ended(path, "UNIMPLEMENTED", System.nanoTime());
            return null;
        }
        return ServerMethodDefinition.create(
                Wire.method(path, kind), (call, headers) -> new Call(path, kind, call));
    }

    /** One call: callbacks of the library and ends of pauses, one at a time. */
    private final class Call extends ServerCall.Listener<byte[]> {
        private final String path;
        private final String kind;
        private final ServerCall<byte[], byte[]> call;
        private final Context context = Context.current();
        private final long begun = System.nanoTime();
        private Wire.Command command;
        private boolean isOver;
        private boolean isCounted;
        private boolean isAnswering;
        private boolean isHalfClosed;

        Call(String path, String kind, ServerCall<byte[], byte[]> call) {
            this.path = path;
            this.kind = kind;
            this.call = call;
            tally.started(path);
            call.request(1);
        }

        @Override
        public synchronized void onMessage(byte[] data) {
            tally.request(path, data);
            boolean isFirst = command == null;
            if (isFirst) {
                command = Wire.Command.parse(data);
            }
            if (!kind.equals("bidi")) {
                call.request(1);
                return;
            }
            isAnswering = true;
            pause(isFirst ? command.sleepMs() : 0, () -> {
                if (isFirst && command.headersFirst()) {
                    call.sendHeaders(Wire.metadata(command.headers(), ""));
                }
                converse();
            });
        }

        private void converse() {
            isAnswering = false;
            if (!command.headersFirst()) {
                pause(command.lingerMs(), this::end);
                return;
            }
            for (int each = 0; each < Math.max(1, command.count()); each++) {
                send();
            }
            if (isHalfClosed) {
                pause(command.lingerMs(), this::end);
            } else {
                call.request(1);
            }
        }

        @Override
        public synchronized void onHalfClose() {
            isHalfClosed = true;
            if (command == null) {
                command = Wire.Command.NOTHING;
            }
            if (kind.equals("bidi")) {
                if (!isAnswering) {
                    pause(command.lingerMs(), this::end);
                }
                return;
            }
            pause(command.sleepMs(), this::answer);
        }

        private void answer() {
            if (command.headersFirst()) {
                call.sendHeaders(Wire.metadata(command.headers(), ""));
                boolean isStream = kind.equals("server");
                int answers = isStream ? command.count() : command.status() == 0 ? 1 : 0;
                for (int each = 0; each < answers; each++) {
                    send();
                }
                pause(isStream ? command.lingerMs() : 0, this::end);
            } else {
                end();
            }
        }

        private void send() {
            byte[] data = Wire.fill(command.size());
            tally.response(path, data);
            call.sendMessage(data);
        }

        /** Counts the call, then answers its status: what a client has seen is always counted. */
        private void end() {
            if (isOver) {
                return;
            }
            isOver = true;
            Status status = Status.fromCodeValue(command.status());
            count(status.getCode().name());
            if (!command.message().isEmpty()) {
                status = status.withDescription(command.message());
            }
            Metadata trailers = Wire.metadata(command.trailers(), "");
            call.close(status, trailers);
        }

        private void count(String status) {
            if (!isCounted) {
                isCounted = true;
                tally.ended(path, status, begun);
            }
        }

        @Override
        public synchronized void onCancel() {
            isOver = true;
            boolean isLate = context.getDeadline() != null && context.getDeadline().isExpired();
            count(isLate ? "DEADLINE_EXCEEDED" : "CANCELLED");
        }

        private void pause(int milliseconds, Runnable then) {
            if (milliseconds == 0) {
                run(then);
            } else {
                clock.schedule(() -> run(then), milliseconds, TimeUnit.MILLISECONDS);
            }
        }

        private synchronized void run(Runnable then) {
            if (isOver) {
                return;
            }
            try {
                then.run();
            } catch (RuntimeException error) {
                // Cancelled a moment ago: onCancel comes, and counts it.
                if (!call.isCancelled()) {
                    throw error;
                }
            }
        }
    }
}
