// SPDX-License-Identifier: Apache-2.0
#include "vici/message.h"

#include <algorithm>

namespace cvlan::vici {

namespace {

enum class Kind : uint8_t {
    SectionStart = 1,
    SectionEnd = 2,
    KeyValue = 3,
    ListStart = 4,
    ListItem = 5,
    ListEnd = 6,
};

// The first name that stands twice. By sorting: a hostile section has a hundred thousand of them.
std::optional<std::string_view> doubled(const std::vector<Element>& elements) {
    std::vector<std::string_view> names;
    names.reserve(elements.size());
    for (const Element& element : elements) names.push_back(element.name);
    std::sort(names.begin(), names.end());
    const auto found = std::adjacent_find(names.begin(), names.end());
    if (found == names.end()) return std::nullopt;
    return *found;
}

class Encoder {
public:
    Result<WipedBytes> run(const Message& message) {
        section(message, 0);
        if (out_.size() > kMostMessage) refuse("is too long");
        if (!why_.empty()) return fail(Code::Invalid, "a VICI message {}", why_);
        return std::move(out_);
    }

private:
    void section(const Message& message, size_t depth) {
        if (depth > kMostDepth) return refuse("is too deep");
        if (const auto twice = doubled(message.elements()))
            return refuse(fmt::format("has {} twice", printable(*twice)));
        for (const Element& element : message.elements()) {
            if (!why_.empty() || out_.size() > kMostMessage) return;
            if (const auto* bytes = std::get_if<Value>(&element.content)) {
                named(Kind::KeyValue, element.name);
                value(*bytes);
            } else if (const auto* items = std::get_if<List>(&element.content)) {
                list(element.name, *items);
            } else {
                named(Kind::SectionStart, element.name);
                section(std::get<Message>(element.content), depth + 1);
                kind(Kind::SectionEnd);
            }
        }
    }
    void list(std::string_view name, const List& items) {
        named(Kind::ListStart, name);
        for (const Value& item : items) {
            kind(Kind::ListItem);
            value(item);
        }
        kind(Kind::ListEnd);
    }
    void kind(Kind of) { out_.push_back(static_cast<uint8_t>(of)); }
    void named(Kind of, std::string_view name) {
        if (name.empty()) return refuse("has an empty name");
        if (name.size() > kMostName) return refuse("has a name that is too long");
        kind(of);
        out_.push_back(static_cast<uint8_t>(name.size()));
        out_.insert(out_.end(), name.begin(), name.end());
    }
    void value(const Value& bytes) {
        if (bytes.size() > kMostValue) return refuse("has a value that is too long");
        out_.push_back(static_cast<uint8_t>(bytes.size() >> 8));
        out_.push_back(static_cast<uint8_t>(bytes.size()));
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void refuse(std::string why) {
        if (why_.empty()) why_ = std::move(why);
    }

    WipedBytes out_;
    std::string why_;
};

// Walks a message. The first fault stops the walk and is kept.
class Parser {
public:
    explicit Parser(ByteView bytes) : all_(bytes.size()), rest_(bytes) { open_.emplace_back(); }

    Result<Message> run() {
        if (all_ > kMostMessage) refuse("is too long");
        while (why_ == nullptr && !rest_.empty()) element();
        if (why_ == nullptr && open_.size() != 1) refuse("ends within a section");
        if (why_ == nullptr) check_names();
        if (why_ != nullptr) {
            return fail(Code::Malformed, "a VICI message {}, at byte {} of {}", why_,
                        all_ - rest_.size(), all_);
        }
        return std::move(open_.front().section);
    }

private:
    struct Open {
        std::string name{};
        Message section{};
    };

    void element() {
        switch (static_cast<Kind>(u8())) {
            case Kind::SectionStart:
                return section_start();
            case Kind::SectionEnd:
                return section_end();
            case Kind::ListStart:
                return list();
            case Kind::ListItem:
                return refuse("has an item outside of a list");
            case Kind::ListEnd:
                return refuse("ends a list that did not begin");
            case Kind::KeyValue: {
                const std::string_view key = name();
                const ByteView bytes = value();
                if (why_ == nullptr) open_.back().section.put(key, bytes);
                return;
            }
        }
        refuse("has an element of an unknown type");
    }
    void section_start() {
        const std::string_view section = name();
        if (open_.size() > kMostDepth) return refuse("is too deep");
        if (why_ == nullptr) open_.push_back({std::string(section), {}});
    }
    void section_end() {
        if (open_.size() == 1) return refuse("ends a section that did not begin");
        check_names();
        Open ended = std::move(open_.back());
        open_.pop_back();
        open_.back().section.put_section(ended.name, std::move(ended.section));
    }
    void list() {
        const std::string_view list_name = name();
        List items;
        while (why_ == nullptr) {
            const auto kind = static_cast<Kind>(u8());
            if (why_ != nullptr) return;
            if (kind == Kind::ListEnd) {
                open_.back().section.put_list(list_name, std::move(items));
                return;
            }
            if (kind != Kind::ListItem) return refuse("has something else than an item in a list");
            const ByteView bytes = value();
            items.emplace_back(bytes.begin(), bytes.end());
        }
    }
    void check_names() {
        if (doubled(open_.back().section.elements())) refuse("has a name twice in a section");
    }

    uint8_t u8() {
        const ByteView byte = take(1);
        return byte.empty() ? uint8_t{0} : byte[0];
    }
    std::string_view name() {
        const size_t size = u8();
        if (size == 0) refuse("has an empty name");
        return as_text(take(size));
    }
    ByteView value() {
        const size_t high = u8();
        return take(high << 8 | u8());
    }
    ByteView take(size_t size) {
        if (why_ != nullptr) return {};
        if (rest_.size() < size) {
            refuse("ends too early");
            return {};
        }
        const ByteView taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    void refuse(const char* why) {
        if (why_ == nullptr) why_ = why;
    }

    size_t all_;
    ByteView rest_;
    std::vector<Open> open_;  // the root first, then the sections within each other
    const char* why_ = nullptr;
};

bool is_secret(std::string_view name) {
    return name == "data" || name == "secret" || name == "passphrase" || name == "pin";
}

void dump_value(std::string& out, const Value& value) {
    const std::string_view text = text_of(value);
    if (is_utf8(text)) {
        out += printable(text.substr(0, Message::kMostDump));
    } else {
        out += fmt::format("<{} bytes>", value.size());
    }
}

void dump_section(std::string& out, const Message& message);

void dump_element(std::string& out, const Element& element) {
    out += printable(element.name);
    out += '=';
    if (is_secret(element.name)) {
        out += "***";
    } else if (const auto* value = std::get_if<Value>(&element.content)) {
        dump_value(out, *value);
    } else if (const auto* items = std::get_if<List>(&element.content)) {
        out += '[';
        for (const Value& item : *items) {
            if (out.size() > Message::kMostDump) return;
            if (out.back() != '[') out += ' ';
            dump_value(out, item);
        }
        out += ']';
    } else {
        dump_section(out, std::get<Message>(element.content));
    }
}

void dump_section(std::string& out, const Message& message) {
    out += '{';
    for (const Element& element : message.elements()) {
        if (out.size() > Message::kMostDump) return;
        if (out.back() != '{') out += ' ';
        dump_element(out, element);
    }
    out += '}';
}

const Element* find(const std::vector<Element>& elements, std::string_view name) {
    const auto found = std::find_if(elements.begin(), elements.end(),
                                    [&](const Element& element) { return element.name == name; });
    return found == elements.end() ? nullptr : &*found;
}

template <class T>
const T* find_as(const std::vector<Element>& elements, std::string_view name) {
    const Element* element = find(elements, name);
    return element == nullptr ? nullptr : std::get_if<T>(&element->content);
}

}  // namespace

Message& Message::put(std::string_view name, std::string_view text) {
    return put(name, as_bytes(text));
}

Message& Message::put(std::string_view name, ByteView bytes) {
    elements_.push_back({std::string(name), Value(bytes.begin(), bytes.end())});
    return *this;
}

Message& Message::put_list(std::string_view name, std::span<const std::string> items) {
    List list;
    for (const std::string& item : items) list.emplace_back(item.begin(), item.end());
    return put_list(name, std::move(list));
}

Message& Message::put_list(std::string_view name, List items) {
    elements_.push_back({std::string(name), std::move(items)});
    return *this;
}

Message& Message::put_section(std::string_view name, Message section) {
    elements_.push_back({std::string(name), std::move(section)});
    return *this;
}

std::optional<std::string_view> Message::text(std::string_view name) const {
    const Value* value = find_as<Value>(elements_, name);
    if (value == nullptr) return std::nullopt;
    return text_of(*value);
}

const List* Message::list(std::string_view name) const { return find_as<List>(elements_, name); }

const Message* Message::section(std::string_view name) const {
    return find_as<Message>(elements_, name);
}

bool Message::operator==(const Message& other) const { return elements_ == other.elements_; }

Result<WipedBytes> Message::encode() const { return Encoder().run(*this); }

Result<Message> Message::parse(ByteView bytes) { return Parser(bytes).run(); }

std::string Message::dump() const {
    std::string out;
    dump_section(out, *this);
    if (out.size() <= kMostDump) return out;
    out.resize(kMostDump - 3);
    // Not within a character of several bytes.
    while (!is_utf8(out)) out.pop_back();
    return out + "...";
}

}  // namespace cvlan::vici
