// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <charconv>

namespace cvlan {

namespace {

std::string variable(std::string_view key) {
    std::string name = "CVLAN_";
    for (const char c : key) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return name;
}

}  // namespace

std::optional<std::string> Settings::from_environment(std::string_view key) const {
    const char* value = environment_(variable(key).c_str());
    if (!value || !*value) return std::nullopt;
    return std::string(value);
}

void Settings::wrong(std::string_view key, std::string_view why) {
    faults_.push_back(fmt::format("environment: {} {}", variable(key), why));
}

std::optional<std::string> Settings::text(std::string_view key) {
    auto from_file = file_.text(key);
    if (auto set = from_environment(key)) return set;
    return from_file;
}

std::optional<int64_t> Settings::integer(std::string_view key, int64_t lowest, int64_t highest) {
    auto from_file = file_.integer(key, lowest, highest);
    const auto set = from_environment(key);
    if (!set) return from_file;
    int64_t value = 0;
    const char* end = set->data() + set->size();
    const auto [stop, error] = std::from_chars(set->data(), end, value);
    if (error == std::errc() && stop == end && value >= lowest && value <= highest) return value;
    wrong(key, fmt::format("must be a whole number from {} to {}", lowest, highest));
    return std::nullopt;
}

std::optional<bool> Settings::boolean(std::string_view key) {
    auto from_file = file_.boolean(key);
    const auto set = from_environment(key);
    if (!set) return from_file;
    if (*set == "true") return true;
    if (*set == "false") return false;
    wrong(key, "must be true or false");
    return std::nullopt;
}

std::optional<Endpoint> Settings::endpoint(std::string_view key) {
    const auto value = text(key);
    if (!value) return std::nullopt;
    auto parsed = Endpoint::parse(*value);
    if (parsed) return *parsed;
    file_.reject(key, parsed.error().message);
    return std::nullopt;
}

std::optional<Endpoint> Settings::loopback_endpoint(std::string_view key) {
    const auto at = endpoint(key);
    if (at && !at->address.is_loopback()) file_.reject(key, "must be a loopback address");
    return at;
}

std::optional<log::Level> Settings::log_level(const std::optional<std::string>& flag) {
    auto value = text("log_level");
    if (flag) value = flag;
    if (!value) return std::nullopt;
    auto level = log::parse_level(*value);
    if (level) return *level;
    file_.reject("log_level", level.error().message);
    return std::nullopt;
}

Result<void> Settings::finish() const {
    std::vector<std::string> faults = faults_;
    if (auto finished = file_.finish(); !finished) faults.push_back(finished.error().message);
    if (faults.empty()) return {};
    return fail(Code::Invalid, "{}", fmt::join(faults, "\n"));
}

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04X}", c);
        else
            out += c;
    }
    return out + '"';
}

std::string_view level_text(log::Level level) {
    switch (level) {
        case log::Level::Debug:
            return "debug";
        case log::Level::Info:
            return "info";
        case log::Level::Warn:
            return "warn";
        case log::Level::Error:
            return "error";
    }
    return "info";
}

}  // namespace cvlan
