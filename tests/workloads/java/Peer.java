import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/** Java workload: grpc-java on Netty as server or client. The protocol is in ../README.md. */
public final class Peer {
    static final class Options {
        private final Map<String, String> said = new HashMap<>();

        String text(String name, String otherwise) {
            return said.getOrDefault(name, otherwise);
        }

        int number(String name, int otherwise) {
            return said.containsKey(name) ? Integer.parseInt(said.get(name)) : otherwise;
        }
    }

    private static final class Plan {
        List<Step> steps;
    }

    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        Options options = new Options();
        boolean isServer = arguments[0].equals("server");
        for (int place = isServer ? 1 : 2; place + 1 < arguments.length; place += 2) {
            options.said.put(arguments[place].substring(2), arguments[place + 1]);
        }
        limit(options.number("limit-s", 300));
        sun.misc.Signal.handle(new sun.misc.Signal("USR2"), signal -> {});
        if (isServer) {
            serve(options);
        } else {
            call(arguments[1], options);
        }
        System.exit(0);
    }

    private static void limit(int seconds) {
        Thread thread = new Thread(() -> {
            try {
                Thread.sleep(seconds * 1000L);
            } catch (InterruptedException unused) {
                return;
            }
            Runtime.getRuntime().halt(3);
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static void serve(Options options) throws Exception {
        Service service = new Service();
        AtomicBoolean isStopped = new AtomicBoolean();
        // SIGTERM must not wait for standard input, nor print the tally twice.
        sun.misc.Signal.handle(new sun.misc.Signal("TERM"), signal -> stop(service, isStopped));
        service.start(options);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null && !line.equals("quit"); line = lines.readLine()) {
            if (line.equals("stats")) {
                service.tell();
            }
        }
        stop(service, isStopped);
    }

    private static void stop(Service service, AtomicBoolean isStopped) {
        if (isStopped.getAndSet(true)) {
            return;
        }
        try {
            service.stop();
        } catch (InterruptedException unused) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void call(String address, Options options) throws Exception {
        Client client = new Client(address, options.text("tls", ""));
        System.out.println("READY");
        System.out.flush();
        Gson gson = new Gson();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null && !line.equals("quit"); line = lines.readLine()) {
            if (!line.isBlank()) {
                client.run(gson.fromJson(line, Plan.class).steps).print();
            }
        }
        client.close();
    }
}
