// Counts of what this program itself did and saw. Thread safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

using Clock = std::chrono::steady_clock;

class Tally {
  public:
    void started(const std::string& method);
    void request(const std::string& method, size_t size);
    void response(const std::string& method, size_t size);
    void ended(const std::string& method, const std::string& status, Clock::duration took);
    void unexpected(const std::string& method, const std::string& wanted, const std::string& got,
                    const std::string& detail);
    // One line of JSON.
    std::string line() const;

  private:
    static constexpr std::array<double, 13> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                      0.25,  0.5,    1,     2.5,  5,     10};

    struct Method {
        uint64_t started = 0, request_messages = 0, request_bytes = 0, response_messages = 0, response_bytes = 0;
        std::map<std::string, uint64_t> ended;
        double seconds = 0;
        std::array<uint64_t, bounds.size() + 1> buckets{};
    };

    struct Unexpected {
        uint64_t count = 0;
        std::string detail;
    };

    mutable std::mutex lock_;
    std::map<std::string, Method> methods_;
    std::map<std::tuple<std::string, std::string, std::string>, Unexpected> unexpected_;
};

// The only one that writes to standard output.
void print(const std::string& line);
