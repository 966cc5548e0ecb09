// One step of a plan, with what every call of it needs.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "tally.h"
#include "wire.h"

struct Step {
    std::string method, expect;
    wire::Kind kind;
    uint32_t count, connections, concurrency, request_count, deadline_ms, cancel_after_ms;
    bool churn, cancel_after_first;
    size_t request_size, metadata_size;
    bool metadata_unique;
    wire::Command command;

    // The steps of a plan, a JSON object.
    static std::vector<Step> plan(const std::string& line);

    // Request message of that number, from 0.
    std::string request(uint32_t number) const;
    wire::Metadata metadata() const;
    // How many messages answer one request message of a conversation.
    uint32_t answers_each() const { return command.response_count == 0 ? 1 : command.response_count; }
    // Compares the end of a call, `sizes` being those of the answers, with what the plan wants.
    void check(Tally& tally, const std::string& got, const std::string& detail,
               const std::vector<size_t>& sizes) const;

  private:
    // How many response messages a complete call brings.
    uint32_t answers() const;
};
