#include "tally.h"

#include <algorithm>
#include <iostream>

#include <grpcpp/grpcpp.h>
#include <nlohmann/json.hpp>

using nlohmann::json;
using Lock = std::lock_guard<std::mutex>;

void Tally::started(const std::string& method) {
    const Lock lock(lock_);
    methods_[method].started++;
}

void Tally::request(const std::string& method, size_t size) {
    const Lock lock(lock_);
    methods_[method].request_messages++;
    methods_[method].request_bytes += size;
}

void Tally::response(const std::string& method, size_t size) {
    const Lock lock(lock_);
    methods_[method].response_messages++;
    methods_[method].response_bytes += size;
}

void Tally::ended(const std::string& method, const std::string& status, Clock::duration took) {
    const Lock lock(lock_);
    const double seconds = std::chrono::duration<double>(took).count();
    Method& of = methods_[method];
    of.ended[status]++;
    of.seconds += seconds;
    of.buckets[std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin()]++;
}

void Tally::unexpected(const std::string& method, const std::string& wanted, const std::string& got,
                       const std::string& detail) {
    const Lock lock(lock_);
    Unexpected& entry = unexpected_[{method, wanted, got}];
    if (entry.count++ == 0) {
        entry.detail = detail.substr(0, 200);
    }
}

std::string Tally::line() const {
    const Lock lock(lock_);
    json methods = json::object(), unexpected = json::array();
    for (const auto& [name, of] : methods_) {
        methods[name] = {{"started", of.started},
                         {"ended", of.ended},
                         {"request_messages", of.request_messages},
                         {"request_bytes", of.request_bytes},
                         {"response_messages", of.response_messages},
                         {"response_bytes", of.response_bytes},
                         {"seconds", of.seconds},
                         {"buckets", of.buckets}};
    }
    for (const auto& [key, entry] : unexpected_) {
        const auto& [method, wanted, got] = key;
        unexpected.push_back({{"method", method},
                              {"wanted", wanted},
                              {"got", got},
                              {"count", entry.count},
                              {"detail", entry.detail}});
    }
    const json whole = {{"peer", "cpp"},
                        {"version", "grpc++ " + grpc::Version()},
                        {"methods", methods},
                        {"unexpected", unexpected}};
    return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}

void print(const std::string& line) {
    static std::mutex lock;
    const Lock locked(lock);
    std::cout << line << std::endl;
}
