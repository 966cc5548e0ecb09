#include "step.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include <nlohmann/json.hpp>

using nlohmann::json;
using wire::Kind;

namespace {

constexpr uint32_t max_calls = 1'000'000, max_connections = 20'000;

Kind kind(const std::string& name) {
    return name == "server" ? Kind::server
           : name == "client" ? Kind::client
           : name == "bidi"   ? Kind::bidi
                              : Kind::unary;
}

Step parse(const json& said) {
    const auto number = [&](const char* key, uint32_t otherwise) { return said.value(key, otherwise); };
    const auto is = [&](const char* key) { return said.value(key, false); };
    Step step;
    step.method = said.value("method", "/truth.v1.Truth/Echo");
    step.kind = kind(said.value("kind", "unary"));
    step.count = number("count", 1);
    step.connections = number("connections", 1);
    step.concurrency = number("concurrency", 1);
    step.deadline_ms = number("deadline_ms", 0);
    step.cancel_after_ms = number("cancel_after_ms", 0);
    step.churn = is("churn");
    step.cancel_after_first = is("cancel_after_first");
    step.request_size = number("request_size", 0);
    step.metadata_size = number("metadata_size", 0);
    step.metadata_unique = is("metadata_unique");
    const bool is_single = step.kind == Kind::unary || step.kind == Kind::server;
    step.request_count = is_single ? 1 : number("request_count", 1);
    step.command.status = number("status", 0);
    step.command.sleep_ms = number("sleep_ms", 0);
    step.command.linger_ms = number("linger_ms", 0);
    step.command.response_size = number("response_size", 0);
    step.command.response_count = number("response_count", 0);
    step.command.response_headers = number("response_headers", 0);
    step.command.response_trailers = number("response_trailers", 0);
    step.command.flags = is("headers_first") ? 1 : 0;
    step.command.message = said.value("message", "");
    if (step.command.status >= wire::statuses.size() || step.count > max_calls || step.connections > max_connections) {
        throw std::out_of_range("step out of bounds: " + said.dump());
    }
    step.expect = said.value("expect", wire::statuses[step.command.status]);
    return step;
}

}  // namespace

std::vector<Step> Step::plan(const std::string& line) {
    std::vector<Step> steps;
    const json plan = json::parse(line);
    for (const json& said : plan.at("steps")) {
        steps.push_back(parse(said));
    }
    return steps;
}

std::string Step::request(uint32_t number) const {
    return number == 0 ? command.encode(request_size) : wire::fill(request_size);
}

wire::Metadata Step::metadata() const {
    static std::atomic<unsigned> marks{0};
    if (!metadata_unique) {
        return wire::metadata(metadata_size, "");
    }
    char mark[16];
    std::snprintf(mark, sizeof mark, "%08u-", marks++);
    return wire::metadata(metadata_size, mark);
}

uint32_t Step::answers() const {
    const bool is_streaming = kind == Kind::server || kind == Kind::bidi;
    if (command.status != 0 && !(command.headers_first() && is_streaming)) {
        return 0;
    }
    return kind == Kind::server ? command.response_count : kind == Kind::bidi ? answers_each() * request_count : 1;
}

void Step::check(Tally& tally, const std::string& got, const std::string& detail,
                 const std::vector<size_t>& sizes) const {
    if (expect == "*") {
        return;
    }
    if (expect != got) {
        tally.unexpected(method, expect, got, detail);
        return;
    }
    const bool is_right = sizes.size() == answers() && std::all_of(sizes.begin(), sizes.end(), [&](size_t size) {
                              return size == command.response_size;
                          });
    if (got != "CANCELLED" && got == wire::statuses[command.status] && !is_right) {
        tally.unexpected(method, expect, "WRONG_ANSWER", std::to_string(sizes.size()) + " answers");
    }
}
