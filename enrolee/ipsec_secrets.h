// SPDX-License-Identifier: Apache-2.0
#pragma once

// The secrets of the IPsec connections whose vrouter this node is, as its controller tells them
// (GET /api/v1/node/ipsec-secrets). They are in no map and on no disk of the node.

#include <functional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "enrolee/controller.h"

namespace cvlan::enrolee {

struct IpsecSecret {
    std::string connection_id{};
    int64_t revision = 0;  // MapConnection::secret_revision that it belongs to
    SecretText secret{};   // any bytes
};

// Session::call, say.
using CallController = std::function<void(Controller::Call, Controller::Done)>;
using SecretsDone = std::function<void(Answer<std::vector<IpsecSecret>>)>;
// Loop thread; `done` as Controller::call has it. An answer that can not be read is a Refusal.
void fetch_ipsec_secrets(const CallController& call, SecretsDone done);

// Those of an answer's body, which is wiped. One that can not be a secret is left out.
Result<std::vector<IpsecSecret>> read_ipsec_secrets(std::string& body);

}  // namespace cvlan::enrolee
