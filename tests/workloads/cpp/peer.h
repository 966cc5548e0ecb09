// The two roles of the program.
#pragma once

#include <map>
#include <string>

using Options = std::map<std::string, std::string>;

inline int number(const Options& options, const std::string& name) {
    const auto found = options.find(name);
    return found == options.end() ? 0 : std::stoi(found->second);
}

// Messages and header lists above what any plan sends.
constexpr int max_header_list = 256 << 10;

void serve(const Options& options);
void call(const std::string& address, const Options& options);
