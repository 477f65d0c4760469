// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads the values of one section by name. What is not there leaves its field alone; the first that
// is not what it should be is kept, and asked for once, at the end. Texts are made printable.

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vici/message.h"

namespace cvlan::vici {

class Fields {
public:
    explicit Fields(const Message& section) : section_(section) {}

    Fields& read(std::string_view name, std::string& out) {
        if (const auto text = section_.text(name)) out = printable(*text);
        return *this;
    }
    template <class Number>
    requires std::is_integral_v<Number> Fields& read(std::string_view name, Number& out,
                                                     int base = 10) {
        const auto text = section_.text(name);
        if (!text) return *this;
        const char* const end = text->data() + text->size();
        const auto [at, why] = std::from_chars(text->data(), end, out, base);
        if (why != std::errc{} || at != end) refuse(name);
        return *this;
    }
    template <class Number>
    Fields& read_hex(std::string_view name, Number& out) {
        return read(name, out, 16);
    }
    Fields& read(std::string_view name, std::optional<std::chrono::seconds>& out) {
        if (!section_.text(name)) return *this;
        int64_t count = 0;
        read(name, count);
        out = std::chrono::seconds(count);
        return *this;
    }
    // charon says yes, or nothing; "1" of esn.
    Fields& read(std::string_view name, bool& out) {
        const auto text = section_.text(name);
        if (!text) return *this;
        out = *text == "yes" || *text == "1";
        if (!out && *text != "no" && *text != "0") refuse(name);
        return *this;
    }
    Fields& read(std::string_view name, std::vector<std::string>& out) {
        const List* list = section_.list(name);
        if (list == nullptr) return *this;
        for (const Value& item : *list) out.push_back(printable(text_of(item)));
        return *this;
    }
    // What has to be there.
    Fields& need(std::string_view name) {
        if (!section_.text(name) && wrong_.empty()) wrong_ = fmt::format("no {}", name);
        return *this;
    }

    template <class T>
    Result<T> ended(T value, std::string_view of) const {
        if (!wrong_.empty()) return fail(Code::Malformed, "{}: {}", of, wrong_);
        return value;
    }

private:
    void refuse(std::string_view name) {
        if (wrong_.empty()) {
            wrong_ = fmt::format("{} is {}", name,
                                 printable(section_.text(name).value_or("").substr(0, 64)));
        }
    }

    const Message& section_;
    std::string wrong_;
};

}  // namespace cvlan::vici
