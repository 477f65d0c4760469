// SPDX-License-Identifier: Apache-2.0
#pragma once

// Messages of nft(8) and the kernel's answers, from tests/data/nft_recorded.txt.

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <fstream>
#include <string>

#include "base/bytes.h"
#include "tests/support/sources.h"

namespace cvlan::tests {

// What follows the netlink header of the message `name`.
inline Bytes nft_recorded(const std::string& name) {
    std::ifstream file(test::source_file("tests/data/nft_recorded.txt"));
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name + ": ")) continue;
        const Bytes message = from_hex(line.substr(name.size() + 2)).value();
        return {message.begin() + NLMSG_HDRLEN, message.end()};
    }
    ADD_FAILURE() << "no message " << name << " is recorded";
    return {};
}

// The same without the attributes of this type, which we do not send.
inline Bytes nft_recorded_without(const std::string& name, uint16_t type) {
    constexpr size_t kHead = 4;  // nfgenmsg
    const Bytes all = nft_recorded(name);
    Bytes kept(all.begin(), all.begin() + kHead);
    for (size_t at = kHead; at < all.size();) {
        nlattr head;
        std::memcpy(&head, all.data() + at, sizeof head);
        const size_t size = NLA_ALIGN(head.nla_len);
        const auto begin = all.begin() + static_cast<ptrdiff_t>(at);
        if ((head.nla_type & NLA_TYPE_MASK) != type)
            kept.insert(kept.end(), begin, begin + static_cast<ptrdiff_t>(size));
        at += size;
    }
    return kept;
}

}  // namespace cvlan::tests
