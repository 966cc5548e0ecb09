import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Client: runs plans, a thread per concurrent call. */
final class Client {
    private static final long READY_SECONDS = 20;

    private final String host;
    private final int port;
    private final List<ManagedChannel> channels = new ArrayList<>();
    private final ExecutorService workers = Executors.newCachedThreadPool();
    private final ScheduledExecutorService clock = Executors.newScheduledThreadPool(2);

    /** Of all connections; null: plaintext. */
    private final SslContext security;

    Client(String address, String certificates) throws Exception {
        security = certificates.isEmpty()
                ? null
                : GrpcSslContexts.configure(SslContextBuilder.forClient(), SslProvider.OPENSSL)
                        .trustManager(new File(certificates, "ca.pem"))
                        .build();
        int colon = address.lastIndexOf(':');
        host = address.substring(0, colon).replace("[", "").replace("]", "");
        port = Integer.parseInt(address.substring(colon + 1));
    }

    Tally run(List<Step> steps) throws Exception {
        Tally tally = new Tally();
        for (Step step : steps) {
            AtomicLong turns = new AtomicLong();
            List<Future<?>> all = new ArrayList<>();
            for (int index = 0; index < step.connections; index++) {
                ManagedChannel channel = step.churn ? null : channel(index);
                for (int each = 0; each < step.concurrency; each++) {
                    all.add(workers.submit(() -> {
                        work(step, tally, channel, turns);
                        return null;
                    }));
                }
            }
            for (Future<?> each : all) {
                each.get();
            }
        }
        return tally;
    }

    void close() throws InterruptedException {
        for (ManagedChannel channel : channels) {
            channel.shutdown().awaitTermination(READY_SECONDS, TimeUnit.SECONDS);
        }
    }

    private ManagedChannel channel(int index) throws InterruptedException {
        while (channels.size() <= index) {
            channels.add(open());
        }
        return channels.get(index);
    }

    /** No retries: a hidden second attempt would be a call that the tally does not have. */
    private ManagedChannel open() throws InterruptedException {
        NettyChannelBuilder builder = NettyChannelBuilder.forAddress(host, port);
        if (security == null) {
            builder.usePlaintext();
        } else {
            builder.sslContext(security);
        }
        ManagedChannel channel = builder.disableRetry()
                .maxInboundMessageSize(2 * Wire.MAX_MESSAGE)
                .maxInboundMetadataSize(256 << 10)
                .build();
        ConnectivityState state = channel.getState(true);
        while (state != ConnectivityState.READY) {
            CountDownLatch changed = new CountDownLatch(1);
            channel.notifyWhenStateChanged(state, changed::countDown);
            if (!changed.await(READY_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalStateException("no connection to " + host + ":" + port);
            }
            state = channel.getState(true);
        }
        return channel;
    }

    private void work(Step step, Tally tally, ManagedChannel channel, AtomicLong turns) throws InterruptedException {
        while (turns.getAndIncrement() < step.count) {
            if (step.churn) {
                ManagedChannel own = open();
                new Call(step, tally).make(own);
                own.shutdown().awaitTermination(READY_SECONDS, TimeUnit.SECONDS);
            } else {
                new Call(step, tally).make(channel);
            }
        }
    }

    /** One call: the library's callbacks become events for the thread that makes it. */
    private final class Call extends ClientCall.Listener<byte[]> {
        private final Step step;
        private final Tally tally;
        private final List<Integer> sizes = new ArrayList<>();
        /** Messages, and at last a status. */
        private final LinkedBlockingQueue<Object> events = new LinkedBlockingQueue<>();
        private ClientCall<byte[], byte[]> call;
        private Status end;

        Call(Step step, Tally tally) {
            this.step = step;
            this.tally = tally;
        }

        @Override
        public void onMessage(byte[] data) {
            events.add(data);
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            events.add(status);
        }

        void make(ManagedChannel channel) throws InterruptedException {
            tally.started(step.method);
            long begun = System.nanoTime();
            CallOptions options = CallOptions.DEFAULT;
            if (step.deadline_ms > 0) {
                options = options.withDeadlineAfter(step.deadline_ms, TimeUnit.MILLISECONDS);
            }
            call = channel.newCall(Wire.method(step.method, step.kind), options);
            call.start(this, step.metadata());
            call.request(Integer.MAX_VALUE);
            Future<?> cancel = null;
            if (step.cancel_after_ms > 0) {
                cancel = clock.schedule(this::cancel, step.cancel_after_ms, TimeUnit.MILLISECONDS);
            }
            converse();
            while (end == null) {
                receive();
            }
            if (cancel != null) {
                cancel.cancel(false);
            }
            String status = end.getCode().name();
            tally.ended(step.method, status, begun);
            step.check(tally, status, String.valueOf(end.getDescription()), sizes);
        }

        private void cancel() {
            call.cancel("the plan has it", null);
        }

        /** In a conversation, each request waits for the answers to the one before. */
        private void converse() throws InterruptedException {
            try {
                for (int number = 0; number < step.requests() && end == null; number++) {
                    byte[] data = step.request(number);
                    tally.request(step.method, data);
                    call.sendMessage(data);
                    for (int each = 0; each < step.answersEach() && end == null; each++) {
                        receive();
                    }
                }
                if (end == null) {
                    call.halfClose();
                }
            } catch (IllegalStateException error) {
                // Cancelled a moment ago: the status says so.
                return;
            }
        }

        private void receive() throws InterruptedException {
            Object event = events.take();
            if (event instanceof Status status) {
                end = status;
                return;
            }
            byte[] data = (byte[]) event;
            tally.response(step.method, data);
            sizes.add(data.length);
            if (step.cancel_after_first) {
                cancel();
            }
        }
    }
}
