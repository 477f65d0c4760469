// SPDX-License-Identifier: Apache-2.0
#include "netlink/message.h"

#include <netlink/msg.h>

namespace cvlan::netlink {

Message::Message(uint16_t type, uint16_t flags) {
    bytes_.resize(NLMSG_HDRLEN);
    nlmsghdr head{};
    head.nlmsg_type = type;
    head.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    set_header(head);
}

Message Message::from_libnl(nl_msg* built) {
    const nlmsghdr* head = nlmsg_hdr(built);
    Message message;
    const auto* begin = reinterpret_cast<const uint8_t*>(head);
    message.bytes_.assign(begin, begin + head->nlmsg_len);
    message.add_flags(NLM_F_REQUEST);
    return message;
}

nlmsghdr Message::header() const {
    nlmsghdr head;
    std::memcpy(&head, bytes_.data(), sizeof head);
    return head;
}

void Message::set_header(const nlmsghdr& head) { std::memcpy(bytes_.data(), &head, sizeof head); }

void Message::add_flags(uint16_t flags) {
    nlmsghdr head = header();
    head.nlmsg_flags = static_cast<uint16_t>(head.nlmsg_flags | flags);
    set_header(head);
}

ByteView Message::seal(uint32_t sequence, uint32_t port) {
    nlmsghdr head = header();
    head.nlmsg_len = static_cast<uint32_t>(bytes_.size());
    head.nlmsg_seq = sequence;
    head.nlmsg_pid = port;
    set_header(head);
    return bytes_;
}

void Message::append(const void* from, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(from);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void Message::put_bytes(uint16_t type, ByteView bytes) {
    if (bytes.size() > kMaxNest - NLA_HDRLEN) {
        error_ = Error{Code::TooLarge,
                       fmt::format("attribute {} of {} bytes does not fit", type, bytes.size())};
        return;
    }
    const nlattr head{static_cast<uint16_t>(NLA_HDRLEN + bytes.size()), type};
    append(&head, sizeof head);
    append(bytes.data(), bytes.size());
}

void Message::put_string(uint16_t type, std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        error_ = Error{Code::Invalid, fmt::format("attribute {}: text with a NUL", type)};
        return;
    }
    const std::string terminated(text);
    put_bytes(type, as_bytes({terminated.c_str(), terminated.size() + 1}));
}

size_t Message::open_nest(uint16_t type) {
    const size_t start = bytes_.size();
    const nlattr head{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
    append(&head, sizeof head);
    return start;
}

void Message::close_nest(size_t start) {
    const size_t size = nest_size(start);
    if (size > kMaxNest) {
        error_ = Error{Code::TooLarge, fmt::format("nest of {} bytes does not fit", size)};
        return;
    }
    const auto length = static_cast<uint16_t>(size);
    std::memcpy(bytes_.data() + start, &length, sizeof length);  // nla_len comes first
}

}  // namespace cvlan::netlink
