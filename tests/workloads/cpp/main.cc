// C++ workload: grpc++ as server or client, by its generic interface. The protocol is in ../README.md.

#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>
#include <unistd.h>

#include "peer.h"

namespace {

constexpr int default_limit_s = 300;

void limit(int seconds) {
    std::thread([seconds] {
        std::this_thread::sleep_for(std::chrono::seconds(seconds));
        _exit(3);
    }).detach();
}

}  // namespace

int main(int count, char** arguments) {
    const bool is_server = count > 1 && std::strcmp(arguments[1], "server") == 0;
    const bool is_client = count > 2 && std::strcmp(arguments[1], "client") == 0;
    if (!is_server && !is_client) {
        std::fputs("usage: peer server|client …\n", stderr);
        return 2;
    }
    Options options;
    for (int place = is_server ? 2 : 3; place + 1 < count; place += 2) {
        options[arguments[place] + 2] = arguments[place + 1];
    }
    // Before any thread is there, so that all of them leave SIGTERM to the one that waits for it.
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (is_server) {
        pthread_sigmask(SIG_BLOCK, &term, nullptr);
    }
    std::signal(SIGUSR2, [](int) {});
    limit(options.count("limit-s") ? number(options, "limit-s") : default_limit_s);
    if (is_server) {
        serve(options);
    } else {
        call(arguments[2], options);
    }
    // Not through the destructors of a library whose threads still run.
    _exit(0);
}
