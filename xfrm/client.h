// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads and changes the states and policies of one network namespace (NETLINK_XFRM). The interfaces
// (xfrmi) are netlink/link.h's.
//
// A Client belongs to one thread and to the namespace it was opened for. Calls block until the
// kernel acks. What is missing is Code::NotFound, what is there already Code::Exists. Nobody is
// charon's keeper here: who owns a state is told by its if_id, and which of them to touch is the
// caller's.

#include <vector>

#include "netlink/netns.h"
#include "netlink/socket.h"
#include "xfrm/encode.h"
#include "xfrm/parse.h"

namespace cvlan::xfrm {

class Client {
public:
    // Code::Unsupported if the kernel has no xfrm_user.
    static Result<Client> open(const netlink::NetnsFd& netns);
    explicit Client(netlink::Socket socket) : socket_(std::move(socket)) {}

    Result<std::vector<State>> states(const StateFilter& filter = {});
    Result<State> state(const StateId& id);
    // A larval state with a number of the kernel's choice; update_state() makes it a whole one,
    // and else it goes after some minutes (net.core.xfrm_acq_expires).
    Result<State> allocate_spi(const SpiRequest& request);
    Result<void> add_state(const State& state, const StateKeys& keys);
    // Of one that is whole already only selector, encapsulation, limits, output mark and if_id
    // change: algorithms, keys and sequence stay (net/xfrm/xfrm_state.c: xfrm_state_update).
    Result<void> update_state(const State& state, const StateKeys& keys);
    Result<void> remove_state(const StateId& id);
    // All states of an interface; how many there were. Those that went by themselves count not.
    Result<size_t> remove_states(uint32_t if_id);
    Result<StateCounts> state_counts();

    Result<std::vector<Policy>> policies();
    Result<Policy> policy(const PolicyId& id);
    Result<void> add_policy(const Policy& policy);
    // Adds it where there is none. Priority, templates, action and limits are as given at once:
    // no packet meets neither.
    Result<void> update_policy(const Policy& policy);
    Result<void> remove_policy(const PolicyId& id);
    Result<size_t> remove_policies(uint32_t if_id);
    Result<PolicyCounts> policy_counts();

    netlink::Socket& socket() { return socket_; }

private:
    Result<void> put_state(uint16_t type, const State& state, const StateKeys& keys);
    Result<void> put_policy(uint16_t type, const Policy& policy);
    Result<size_t> remove_all(std::vector<netlink::Message> messages);

    netlink::Socket socket_;
};

inline PolicyId id_of(const Policy& policy) {
    return {policy.selector, policy.direction, policy.if_id, policy.mark};
}

// "esp 203.0.113.7 spi 0xc0de0001"
std::string text(const StateId& id);
// "out 10.0.0.0/8 > 10.1.0.0/16 if_id 0xca000001"
std::string text(const PolicyId& id);

}  // namespace cvlan::xfrm
