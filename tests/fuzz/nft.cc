// SPDX-License-Identifier: Apache-2.0
// What the kernel says of tables, rules and elements; elements that are read are set again and must
// read the same.
#include "netlink/nft_encode.h"
#include "netlink/nft_parse.h"

namespace cvlan::netlink::nft {
namespace {

// What of an element we would send: nothing that only the kernel says, and no more than it takes.
bool is_ours(Element& element) {
    element.expires_in.reset();
    const auto* verdict = std::get_if<Verdict>(&element.value);
    const bool has_name = verdict != nullptr && !verdict->chain.empty();
    return element.comment.size() <= kMaxComment && element.key.size() < 1000 &&
           (!has_name || verdict->chain.size() < 100);
}

void round_trip(const std::vector<Element>& elements) {
    Batch batch("t");
    batch.add_elements("m", elements);
    std::vector<Element> again;
    const auto sealed = batch.seal();
    for (size_t i = 1; i + 1 < sealed.messages.size(); ++i)
        if (sealed.messages[i].error() || !parse_elements(sealed.messages[i].payload(), again))
            __builtin_trap();
    if (again != elements) __builtin_trap();
}

}  // namespace
}  // namespace cvlan::netlink::nft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::netlink::nft;
    const cvlan::ByteView input(bytes, size);
    (void)parse_table(input);
    (void)parse_rule(input);
    std::vector<Element> elements;
    if (!parse_elements(input, elements)) return 0;
    std::erase_if(elements, [](Element& element) { return !is_ours(element); });
    round_trip(elements);
    return 0;
}
