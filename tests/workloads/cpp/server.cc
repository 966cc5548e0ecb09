// Server: carries out the commands that requests bring, a thread and a completion queue per call.

#include <condition_variable>
#include <csignal>
#include <iostream>
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include "peer.h"
#include "security.h"
#include "tally.h"
#include "wire.h"

using std::chrono::milliseconds;
using wire::Command;
using wire::Kind;

namespace {

constexpr milliseconds stopping{200};
// Calls that the library may match at once; each that comes asks for the next.
constexpr int waiting_calls = 100;

// One call: its command, its pauses and its end in the tally.
class Call {
  public:
    explicit Call(Tally& tally) : tally_(tally), stream_(&context_) { context_.AsyncNotifyWhenDone(&over_); }

    void accept(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& arrivals) {
        service.RequestCall(&context_, &stream_, &queue_, &arrivals, this);
    }

    void run() {
        begun_ = Clock::now();
        tally_.started(context_.method());
        const auto known = wire::methods.find(context_.method());
        if (known == wire::methods.end()) {
            command_.status = 12;
            command_.message = "unknown method";
            end();
        } else if (known->second == Kind::bidi) {
            converse();
        } else {
            answer(known->second);
        }
        while (!is_over_) {
            next(std::chrono::system_clock::time_point::max());
        }
    }

  private:
    // Whether an operation other than the end of the call is done by then; `is_ok_` says how.
    bool next(std::chrono::system_clock::time_point until) {
        void* tag = nullptr;
        if (queue_.AsyncNext(&tag, &is_ok_, until) != grpc::CompletionQueue::GOT_EVENT) {
            return false;
        }
        is_over_ |= tag == &over_;
        return tag != &over_;
    }

    bool done() {
        while (!next(std::chrono::system_clock::time_point::max())) {
        }
        return is_ok_;
    }

    void pause(uint32_t length_ms) {
        const auto until = std::chrono::system_clock::now() + milliseconds(length_ms);
        while (length_ms > 0 && !is_over_ && std::chrono::system_clock::now() < until) {
            next(until);
        }
    }

    bool receive(std::string& message) {
        grpc::ByteBuffer buffer;
        stream_.Read(&buffer, this);
        if (!done()) {
            return false;
        }
        message = wire::text(buffer);
        tally_.request(context_.method(), message.size());
        return true;
    }

    void send(uint32_t count) {
        const std::string message = wire::fill(command_.response_size);
        for (; count > 0; count--) {
            stream_.Write(wire::buffer(message), this);
            if (!done()) {
                return;
            }
            tally_.response(context_.method(), message.size());
        }
    }

    void headers() {
        for (const auto& [name, value] : wire::metadata(command_.response_headers, "")) {
            context_.AddInitialMetadata(name, value);
        }
        stream_.SendInitialMetadata(this);
        done();
    }

    void answer(Kind kind) {
        std::string message;
        if (receive(message)) {
            command_ = Command::parse(message);
            while (kind == Kind::client && receive(message)) {
            }
        }
        pause(command_.sleep_ms);
        if (is_over_ || !command_.headers_first()) {
            end();
            return;
        }
        headers();
        if (kind == Kind::server) {
            send(command_.response_count);
            pause(command_.linger_ms);
        } else if (command_.status == 0) {
            send(1);
        }
        end();
    }

    // Answers each request as it comes.
    void converse() {
        std::string message;
        bool goes_on = receive(message);
        command_ = Command::parse(message);
        pause(command_.sleep_ms);
        if (command_.headers_first() && !is_over_) {
            headers();
            for (; goes_on; goes_on = receive(message)) {
                send(std::max<uint32_t>(1, command_.response_count));
            }
        }
        pause(command_.linger_ms);
        end();
    }

    void end() {
        bool is_sent = false;
        // The library has answered a call that was given up, and would do it again.
        if (!is_over_) {
            for (const auto& [name, value] : wire::metadata(command_.response_trailers, "")) {
                context_.AddTrailingMetadata(name, value);
            }
            stream_.Finish(grpc::Status(static_cast<grpc::StatusCode>(command_.status), command_.message), this);
            is_sent = done();
        }
        const bool is_late = context_.deadline() <= std::chrono::system_clock::now();
        const char* given_up = is_late ? "DEADLINE_EXCEEDED" : "CANCELLED";
        tally_.ended(context_.method(), is_sent ? wire::statuses[command_.status] : given_up, Clock::now() - begun_);
    }

    Tally& tally_;
    grpc::GenericServerContext context_;
    grpc::GenericServerAsyncReaderWriter stream_;
    grpc::CompletionQueue queue_;
    Command command_;
    Clock::time_point begun_;
    bool is_ok_ = false;
    // By its address the tag of the end of the call, however it comes.
    bool is_over_ = false;
    char over_ = 0;
};

class Service {
  public:
    explicit Service(const Options& options) {
        grpc::ServerBuilder builder;
        std::string host = options.count("host") ? options.at("host") : "127.0.0.1";
        host = host.find(':') == std::string::npos ? host : "[" + host + "]";
        int port = 0;
        builder.AddListeningPort(host + ":" + std::to_string(number(options, "port")),
                                 server_credentials(options), &port);
        builder.SetMaxReceiveMessageSize(-1).SetMaxSendMessageSize(-1);
        builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
        builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, max_header_list);
        if (const int age = number(options, "max-age-ms")) {
            builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, age);
            builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 5000);
        }
        if (const int silence = number(options, "keepalive-ms")) {
            builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, silence);
            builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
            builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
        }
        if (const int streams = number(options, "max-streams")) {
            builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams);
        }
        builder.RegisterAsyncGenericService(&service_);
        arrivals_ = builder.AddCompletionQueue();
        server_ = builder.BuildAndStart();
        if (!server_ || port == 0) {
            throw std::runtime_error("cannot listen on " + host);
        }
        acceptor_ = std::thread([this] { accept(); });
        print("READY port=" + std::to_string(port));
    }

    void tell() const { print(tally_.line()); }

    // Ends open calls and prints the tally, once, whoever asks.
    void stop() {
        std::call_once(stopped_, [this] {
            server_->Shutdown(std::chrono::system_clock::now() + stopping);
            {
                const std::lock_guard<std::mutex> lock(lock_);
                is_stopping_ = true;
            }
            arrivals_->Shutdown();
            acceptor_.join();
            std::unique_lock<std::mutex> lock(lock_);
            idle_.wait(lock, [this] { return running_ == 0; });
            tell();
        });
    }

  private:
    void accept() {
        for (int number = 0; number < waiting_calls; number++) {
            ask();
        }
        void* tag = nullptr;
        for (bool is_call = false; arrivals_->Next(&tag, &is_call);) {
            std::unique_ptr<Call> call(static_cast<Call*>(tag));
            if (!is_call) {
                // The server stops; the call has never been one.
                continue;
            }
            ask();
            change_running(1);
            run(std::move(call));
        }
    }

    struct Start {
        Service* service;
        std::unique_ptr<Call> call;
    };

    // In a thread of its own that is detached from its beginning: std::thread::detach() looks into one that may have ended by
    // then, and whose stack glibc may have unmapped.
    void run(std::unique_ptr<Call> call) {
        pthread_attr_t detached;
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        auto start = std::make_unique<Start>(Start{this, std::move(call)});
        pthread_t thread;
        const int failed = pthread_create(&thread, &detached, &Service::carry_out, start.get());
        pthread_attr_destroy(&detached);
        if (failed) {
            throw std::runtime_error("no thread for a call");
        }
        start.release();
    }

    static void* carry_out(void* argument) {
        const std::unique_ptr<Start> start(static_cast<Start*>(argument));
        start->call->run();
        start->call.reset();
        start->service->change_running(-1);
        return nullptr;
    }

    // For one more call; the queue takes no wishes after its end.
    void ask() {
        const std::lock_guard<std::mutex> lock(lock_);
        if (!is_stopping_) {
            (new Call(tally_))->accept(service_, *arrivals_);
        }
    }

    void change_running(int by) {
        const std::lock_guard<std::mutex> lock(lock_);
        running_ += by;
        idle_.notify_all();
    }

    Tally tally_;
    grpc::AsyncGenericService service_;
    std::unique_ptr<grpc::ServerCompletionQueue> arrivals_;
    std::unique_ptr<grpc::Server> server_;
    std::thread acceptor_;
    std::once_flag stopped_;
    std::mutex lock_;
    std::condition_variable idle_;
    int running_ = 0;
    bool is_stopping_ = false;
};

}  // namespace

void serve(const Options& options) {
    Service service(options);
    std::thread([&service] {
        sigset_t term;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        int signal = 0;
        sigwait(&term, &signal);
        service.stop();
        _exit(0);
    }).detach();
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        if (line == "stats") {
            service.tell();
        }
    }
    service.stop();
}
