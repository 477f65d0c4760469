// SPDX-License-Identifier: Apache-2.0
#pragma once

// Changes of one table as the messages of a batch, which the kernel carries out whole or not at all
// (linux/netfilter/nfnetlink.h: NFNL_MSG_BATCH_BEGIN). Pure. A list of elements is one nest, so of
// at most 65,535 bytes: longer ones are split by bytes into further messages of the same batch.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "netlink/message.h"
#include "netlink/nft_types.h"

namespace cvlan::netlink::nft {

class Batch {
public:
    explicit Batch(std::string table);

    // Adding what is there already changes nothing, but for rules, which are appended, and
    // elements.
    void add_table(std::string_view comment);
    void add_set(const Set& set);
    void add_chain(const Chain& chain);
    void add_rule(const Rule& rule);
    // An element that is there already fails the batch with Code::Exists.
    void add_elements(std::string_view set, std::span<const Element> elements);

    // Removing what is not there fails the batch with Code::NotFound.
    void remove_table();
    void remove_rules(std::string_view chain);  // all of them
    void remove_elements(std::string_view set, std::span<const Bytes> keys);

    bool empty() const { return messages_.size() == 1; }
    size_t size() const { return size_; }  // in bytes, the end included
    // All messages with begin and end, for Socket::request_batch, and what each of them does, for
    // errors. The batch is empty then.
    struct Sealed {
        std::vector<Message> messages;
        std::vector<std::string> doings;
    };
    Sealed seal();

private:
    Message& open(uint16_t command, uint16_t flags, std::string doing);
    void close();
    template <class Each, class Put>
    void put_elements(uint16_t command, std::string_view set, std::span<const Each> list, Put put);

    std::string table_;
    std::vector<Message> messages_;
    std::vector<std::string> doings_;
    uint32_t next_id_ = 1;  // of a set, within the batch
    size_t size_ = 0;
};

// Requests outside of a batch. The names of chain and set narrow what is read.
Message get_table(std::string_view table);
Message get_rules(std::string_view table, std::string_view chain);
Message get_elements(std::string_view table, std::string_view set);
Message get_element(std::string_view table, std::string_view set, const Bytes& key);

}  // namespace cvlan::netlink::nft
