// SPDX-License-Identifier: Apache-2.0
#include "model/claims.h"

namespace cvlan::model {

Result<void> Claims::take(const MapPeer& peer) {
    for (const Address& address : peer.addresses)
        if (const auto owner = addresses_.find(address); owner != addresses_.end())
            return fail(Code::Conflict, "address {} belongs to node {} already", address.text(),
                        owner->second);
    if (const auto owner = keys_.find(peer.wireguard_key); owner != keys_.end())
        return fail(Code::Conflict, "its key belongs to node {} already", owner->second);
    for (const Address& address : peer.addresses) addresses_.emplace(address, peer.node_id);
    if (!peer.wireguard_key.empty()) keys_.emplace(peer.wireguard_key, peer.node_id);
    return {};
}

}  // namespace cvlan::model
