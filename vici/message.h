// SPDX-License-Identifier: Apache-2.0
#pragma once

// A message of VICI (README.md): an ordered tree of sections, lists and values. Pure: bytes in,
// values out, from any thread.
//
// parse() takes what is balanced and within the limits below, and nothing else: the other side of
// the socket is a process of its own, which may be broken or not be charon at all. A name stands
// once in its section, as the protocol has it; twice is Code::Malformed, since which of the two is
// meant nobody could say. Values are bytes; what is shown of them (dump) is printable and without
// secrets. Memory of values is wiped, since some carry keys.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wiped.h"

namespace cvlan::vici {

inline constexpr size_t kMostMessage = 512 * 1024;
inline constexpr size_t kMostDepth = 16;  // sections within sections
inline constexpr size_t kMostName = 255;
inline constexpr size_t kMostValue = 65535;

using Value = WipedBytes;
using List = std::vector<Value>;
struct Element;

// The root, or a section within another.
class Message {
public:
    Message& put(std::string_view name, std::string_view text);
    Message& put(std::string_view name, ByteView bytes);
    Message& put_list(std::string_view name, std::span<const std::string> items);
    Message& put_list(std::string_view name, List items);
    Message& put_section(std::string_view name, Message section);

    const std::vector<Element>& elements() const { return elements_; }
    bool empty() const { return elements_.empty(); }
    // Nothing where there is none of that name, or it is of another kind. The text may hold any
    // byte; views are valid as long as the message is unchanged.
    std::optional<std::string_view> text(std::string_view name) const;
    const List* list(std::string_view name) const;
    const Message* section(std::string_view name) const;

    bool operator==(const Message& other) const;

    // Code::Invalid for a name or value that is too long, too deep a section, a name that is there
    // twice, or more than kMostMessage altogether.
    Result<WipedBytes> encode() const;
    static Result<Message> parse(ByteView bytes);

    // For a log: one printable line of at most kMostDump bytes, in which what may be a key (a value
    // named data, secret, passphrase or pin) is ***.
    std::string dump() const;
    static constexpr size_t kMostDump = 2048;

private:
    std::vector<Element> elements_;
};

struct Element {
    std::string name;
    std::variant<Value, List, Message> content;
    bool operator==(const Element&) const = default;
};

inline std::string_view text_of(const Value& value) {
    return {reinterpret_cast<const char*>(value.data()), value.size()};
}

}  // namespace cvlan::vici
