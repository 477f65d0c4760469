// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads and changes nftables of one network namespace, family inet, over nfnetlink.
//
// A Client belongs to one thread. A change is a Batch: all of it takes effect between two packets,
// or none of it. Errors name the part of the batch that the kernel refused, in the kernel's words.

#include <string_view>
#include <vector>

#include "netlink/netns.h"
#include "netlink/nft_encode.h"
#include "netlink/nft_types.h"
#include "netlink/socket.h"

namespace cvlan::netlink::nft {

class Client {
public:
    // Code::Unsupported if the kernel has no nf_tables.
    static Result<Client> open(const NetnsFd& netns);
    static Result<Client> over(Socket socket);

    Result<void> commit(Batch batch);

    // None where there is no such chain.
    Result<std::vector<Rule>> rules(std::string_view table, std::string_view chain);
    // Each is Code::NotFound where that does not exist.
    Result<Table> table(std::string_view name);
    Result<std::vector<Element>> elements(std::string_view table, std::string_view set);
    Result<Element> element(std::string_view table, std::string_view set, const Bytes& key);

    Socket& socket() { return socket_; }

private:
    explicit Client(Socket socket) : socket_(std::move(socket)) {}

    Socket socket_;
};

}  // namespace cvlan::netlink::nft
