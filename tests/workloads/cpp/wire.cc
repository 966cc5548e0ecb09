#include "wire.h"

#include <algorithm>

namespace wire {

const std::map<std::string, Kind> methods = {
    {"/truth.v1.Truth/Echo", Kind::unary},       {"/truth.v1.Truth/Get", Kind::unary},
    {"/truth.v1.Truth/Put", Kind::unary},        {"/truth.v1.Inventory/Reserve", Kind::unary},
    {"/truth.v1.Truth/Download", Kind::server},  {"/truth.v1.Inventory/Watch", Kind::server},
    {"/truth.v1.Truth/Upload", Kind::client},    {"/truth.v1.Truth/Chat", Kind::bidi},
};

const std::array<const char*, 17> statuses = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",   "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED",  "INTERNAL",  "UNAVAILABLE",       "DATA_LOSS",          "UNAUTHENTICATED",
};

namespace {

constexpr uint32_t max_metadata = 64 << 10, max_pause_ms = 120'000, max_messages = 100'000;
constexpr size_t metadata_part = 1000;

// A whole HEADERS frame (END_STREAM, END_HEADERS, stream 1): an observer that loses its place counts it.
constexpr unsigned char frame[] = {0, 0, 5, 1, 5, 0, 0, 0, 1, 0x83, 0x86, 0x84, 0x41, 0};

std::string repeated(const std::string& part, size_t size) {
    std::string whole;
    whole.reserve(size + part.size());
    while (whole.size() < size) {
        whole += part;
    }
    whole.resize(size);
    return whole;
}

uint32_t number(const std::string& data, size_t index) {
    uint32_t value = 0;
    for (size_t place = index * 4; place < index * 4 + 4; place++) {
        value = value << 8 | static_cast<unsigned char>(data[place]);
    }
    return value;
}

}  // namespace

std::string fill(size_t size) {
    static const std::string filler =
        repeated(std::string(reinterpret_cast<const char*>(frame), sizeof frame), max_message);
    return filler.substr(0, size);
}

Metadata metadata(size_t size, const std::string& mark) {
    const std::string text = repeated(mark + repeated("abcdefghijklmnopqrstuvwxyz0123456789", metadata_part), metadata_part);
    Metadata filler;
    for (size_t part = 0; part * metadata_part < size; part++) {
        const size_t length = std::min(metadata_part, size - part * metadata_part);
        filler.emplace_back("x-truth-fill-" + std::to_string(part), text.substr(0, length));
    }
    return filler;
}

Command Command::parse(const std::string& data) {
    Command command;
    if (data.size() < head) {
        return command;
    }
    uint32_t* const fields[] = {&command.status,         &command.sleep_ms,         &command.linger_ms,
                                &command.response_size,  &command.response_count,   &command.response_headers,
                                &command.response_trailers, &command.flags};
    for (size_t index = 0; index < 8; index++) {
        *fields[index] = number(data, index);
    }
    if (number(data, 8) <= data.size() - head) {
        command.message = data.substr(head, number(data, 8));
    }
    const bool within_bounds = command.status < statuses.size() &&
                               std::max(command.sleep_ms, command.linger_ms) <= max_pause_ms &&
                               command.response_size <= max_message && command.response_count <= max_messages &&
                               std::max(command.response_headers, command.response_trailers) <= max_metadata;
    if (!within_bounds) {
        command = Command();
        command.status = 3;
        command.message = "command out of bounds";
    }
    return command;
}

std::string Command::encode(size_t size) const {
    const uint32_t fields[] = {status,           sleep_ms,          linger_ms, response_size, response_count,
                               response_headers, response_trailers, flags,     static_cast<uint32_t>(message.size())};
    uint32_t any = 0;
    std::string data;
    for (const uint32_t field : fields) {
        any |= field;
        for (int shift = 24; shift >= 0; shift -= 8) {
            data.push_back(static_cast<char>(field >> shift & 0xff));
        }
    }
    if (any == 0 && size < head) {
        return fill(size);
    }
    data += message;
    return size > data.size() ? data + fill(size - data.size()) : data;
}

std::string text(const grpc::ByteBuffer& buffer) {
    std::vector<grpc::Slice> slices;
    std::string text;
    if (buffer.Dump(&slices).ok()) {
        for (const grpc::Slice& slice : slices) {
            text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
        }
    }
    return text;
}

grpc::ByteBuffer buffer(const std::string& text) {
    const grpc::Slice slice(text);
    return grpc::ByteBuffer(&slice, 1);
}

}  // namespace wire
