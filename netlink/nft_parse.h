// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what the kernel says of tables, rules and elements (linux/netfilter/nf_tables.h). Pure.
// `payload` is what follows the netlink header. Attributes we do not know are skipped, since newer
// kernels add some; a known one of the wrong size is Code::Malformed. Userdata that is no comment
// in nft's form belongs to somebody else and reads as none.

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "netlink/nft_types.h"

namespace cvlan::netlink::nft {

Result<Table> parse_table(ByteView payload);
// Chain and comment alone.
Result<Rule> parse_rule(ByteView payload);
// Adds the elements of one message to `elements`.
Result<void> parse_elements(ByteView payload, std::vector<Element>& elements);

}  // namespace cvlan::netlink::nft
