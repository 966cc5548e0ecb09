// Client: runs plans, a thread and a completion queue per concurrent call.

#include <atomic>
#include <condition_variable>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "peer.h"
#include "security.h"
#include "step.h"

using std::chrono::milliseconds;
using wire::Kind;

namespace {

constexpr std::chrono::seconds ready_timeout{20};

// Whom to call, and how.
struct Called {
    std::string address;
    std::shared_ptr<grpc::ChannelCredentials> credentials;
};

std::shared_ptr<grpc::Channel> open(const Called& called) {
    grpc::ChannelArguments arguments;
    // One connection per channel, and no hidden second attempt: a retry would be a call that the tally does not have.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, max_header_list);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    auto channel = grpc::CreateCustomChannel(called.address, called.credentials, arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + ready_timeout)) {
        throw std::runtime_error("no connection to " + called.address);
    }
    return channel;
}

// Cancels a call after a time, unless it has ended before.
class Canceller {
  public:
    Canceller(grpc::ClientContext& context, uint32_t after_ms) {
        if (after_ms > 0) {
            thread_ = std::thread([this, &context, after_ms] {
                std::unique_lock<std::mutex> lock(lock_);
                if (!over_.wait_for(lock, milliseconds(after_ms), [this] { return is_over_; })) {
                    context.TryCancel();
                }
            });
        }
    }

    ~Canceller() {
        if (thread_.joinable()) {
            {
                const std::lock_guard<std::mutex> lock(lock_);
                is_over_ = true;
            }
            over_.notify_all();
            thread_.join();
        }
    }

  private:
    std::mutex lock_;
    std::condition_variable over_;
    bool is_over_ = false;
    std::thread thread_;
};

// One call on one connection.
class Call {
  public:
    Call(const Step& step, Tally& tally, const std::shared_ptr<grpc::Channel>& channel)
        : step_(step), tally_(tally), stub_(channel) {
        for (const auto& [name, value] : step.metadata()) {
            context_.AddMetadata(name, value);
        }
        if (step.deadline_ms > 0) {
            context_.set_deadline(std::chrono::system_clock::now() + milliseconds(step.deadline_ms));
        }
    }

    void make() {
        tally_.started(step_.method);
        const auto begun = Clock::now();
        {
            const Canceller canceller(context_, step_.cancel_after_ms);
            step_.kind == Kind::unary ? unary() : stream();
        }
        const size_t code = std::min<size_t>(status_.error_code(), wire::statuses.size() - 1);
        tally_.ended(step_.method, wire::statuses[code], Clock::now() - begun);
        step_.check(tally_, wire::statuses[code], status_.error_message(), sizes_);
    }

  private:
    // Waits for the one operation under way.
    bool done() {
        void* tag;
        bool is_ok = false;
        return queue_.Next(&tag, &is_ok) && is_ok;
    }

    void unary() {
        const std::string data = step_.request(0);
        tally_.request(step_.method, data.size());
        grpc::ByteBuffer answer;
        auto call = stub_.PrepareUnaryCall(&context_, step_.method, wire::buffer(data), &queue_);
        call->StartCall();
        call->Finish(&answer, &status_, this);
        done();
        if (status_.ok()) {
            received(answer);
        }
    }

    void stream() {
        auto call = stub_.PrepareCall(&context_, step_.method, &queue_);
        call->StartCall(this);
        bool goes_on = done();
        for (uint32_t number = 0; goes_on && number < step_.request_count; number++) {
            const std::string data = step_.request(number);
            call->Write(wire::buffer(data), this);
            goes_on = done();
            if (!goes_on) {
                break;
            }
            tally_.request(step_.method, data.size());
            // In a conversation, each request waits for the answers to the one before.
            for (uint32_t each = 0; goes_on && step_.kind == Kind::bidi && each < step_.answers_each(); each++) {
                goes_on = receive(*call);
            }
        }
        if (goes_on) {
            call->WritesDone(this);
            done();
        }
        // The status comes after the last message.
        while (receive(*call)) {
        }
        call->Finish(&status_, this);
        done();
    }

    bool receive(grpc::GenericClientAsyncReaderWriter& call) {
        grpc::ByteBuffer answer;
        call.Read(&answer, this);
        if (!done()) {
            return false;
        }
        received(answer);
        if (step_.cancel_after_first) {
            context_.TryCancel();
        }
        return true;
    }

    void received(const grpc::ByteBuffer& answer) {
        tally_.response(step_.method, answer.Length());
        sizes_.push_back(answer.Length());
    }

    const Step& step_;
    Tally& tally_;
    grpc::GenericStub stub_;
    grpc::ClientContext context_;
    grpc::CompletionQueue queue_;
    grpc::Status status_;
    std::vector<size_t> sizes_;
};

// The connections that stay open from one step, and one plan, to the next.
struct Pool {
    Called called;
    std::vector<std::shared_ptr<grpc::Channel>> channels;

    const std::shared_ptr<grpc::Channel>& at(size_t index) {
        while (channels.size() <= index) {
            channels.push_back(open(called));
        }
        return channels[index];
    }
};

void run(const Step& step, Tally& tally, Pool& pool) {
    std::atomic<uint32_t> turns{0};
    std::vector<std::thread> workers;
    for (uint32_t index = 0; index < step.connections; index++) {
        const auto channel = step.churn ? nullptr : pool.at(index);
        for (uint32_t each = 0; each < step.concurrency; each++) {
            workers.emplace_back([&, channel] {
                while (turns++ < step.count) {
                    Call(step, tally, channel ? channel : open(pool.called)).make();
                }
            });
        }
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
}

}  // namespace

void call(const std::string& address, const Options& options) {
    Pool pool{{address, client_credentials(options)}, {}};
    print("READY");
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        if (line.empty()) {
            continue;
        }
        Tally tally;
        for (const Step& step : Step::plan(line)) {
            run(step, tally, pool);
        }
        print(tally.line());
    }
    pool.channels.clear();
}
