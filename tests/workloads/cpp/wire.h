// What every workload agrees on: methods, the command in the first message, filler. No gRPC server or client here.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/support/byte_buffer.h>

namespace wire {

enum class Kind { unary, server, client, bidi };

extern const std::map<std::string, Kind> methods;
extern const std::array<const char*, 17> statuses;

constexpr uint32_t max_message = 16 << 20;
constexpr size_t head = 36;

using Metadata = std::vector<std::pair<std::string, std::string>>;

// `size` bytes of filler.
std::string fill(size_t size);
// Filler as metadata, `mark` making it unique.
Metadata metadata(size_t size, const std::string& mark);

// What a server is asked to do.
struct Command {
    uint32_t status = 0, sleep_ms = 0, linger_ms = 0, response_size = 0, response_count = 0;
    uint32_t response_headers = 0, response_trailers = 0, flags = 0;
    std::string message;

    static Command parse(const std::string& data);
    bool headers_first() const { return status == 0 || (flags & 1) != 0; }
    // The first message of a call, of `size` bytes or as many as the command needs.
    std::string encode(size_t size) const;
};

std::string text(const grpc::ByteBuffer& buffer);
grpc::ByteBuffer buffer(const std::string& text);

}  // namespace wire
