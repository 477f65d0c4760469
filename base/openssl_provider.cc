// SPDX-License-Identifier: Apache-2.0
#include "base/openssl_provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace cvlan {
namespace {

constexpr char kName[] = "cvlan";
constexpr std::array<std::string_view, 6> kUnused{"DH", "DHX", "DSA", "SM2", "X448", "ED448"};

// Lives as long as the process: what was fetched from it may be used until the very end.
struct Filter {
    OSSL_PROVIDER* ours = nullptr;
    OSSL_PROVIDER* all = nullptr;  // the default provider, in a library context of its own
    std::vector<OSSL_ALGORITHM> decoders{}, key_types{};
};
Filter& filter() {
    static auto& only = *new Filter;
    return only;
}

// "EC:id-ecPublicKey:1.2.840.10045.2.1"
bool is_used(const OSSL_ALGORITHM& algorithm) {
    const std::string_view names = algorithm.algorithm_names;
    return std::ranges::find(kUnused, names.substr(0, names.find(':'))) == kUnused.end();
}

// X25519 is TLS's and WireGuard's, whose keys come as 32 bytes. PVK and MSBLOB are Microsoft's, and
// what is structured as "ec" or "rsa" is the same decoder as "type-specific".
bool is_used_decoder(const OSSL_ALGORITHM& algorithm) {
    const std::string_view properties = algorithm.property_definition;
    const auto has = [&](std::string_view what) {
        return properties.find(what) != std::string_view::npos;
    };
    return is_used(algorithm) && std::string_view(algorithm.algorithm_names) != "X25519" &&
           !has("input=pvk") && !has("input=msblob") && !has("structure=ec") &&
           !has("structure=rsa");
}

// provider-base(7): an array that ends in an entry without names.
template <typename Condition>
std::vector<OSSL_ALGORITHM> those(int operation, Condition is_wanted) {
    int may_not_cache = 0;
    std::vector<OSSL_ALGORITHM> kept;
    const OSSL_ALGORITHM* next =
        OSSL_PROVIDER_query_operation(filter().all, operation, &may_not_cache);
    for (; next && next->algorithm_names; ++next)
        if (is_wanted(*next)) kept.push_back(*next);
    kept.push_back({});
    return kept;
}

const OSSL_ALGORITHM* query(void*, int operation, int* may_not_cache) {
    *may_not_cache = 0;
    if (operation == OSSL_OP_DECODER) return filter().decoders.data();
    if (operation == OSSL_OP_KEYMGMT) return filter().key_types.data();
    return OSSL_PROVIDER_query_operation(filter().all, operation, may_not_cache);
}

int capabilities(void*, const char* what, OSSL_CALLBACK* tell, void* to) {
    return OSSL_PROVIDER_get_capabilities(filter().all, what, tell, to);
}

using Function = void (*)();
const std::array<OSSL_DISPATCH, 3> kFunctions{{
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<Function>(query)},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, reinterpret_cast<Function>(capabilities)},
    {0, nullptr},
}};

int start(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** functions,
          void** provider_context) {
    filter().all = OSSL_PROVIDER_load(OSSL_LIB_CTX_new(), "default");
    if (!filter().all) return 0;
    filter().decoders = those(OSSL_OP_DECODER, is_used_decoder);
    filter().key_types = those(OSSL_OP_KEYMGMT, is_used);
    // The algorithms are the default provider's own functions, and want its context.
    *provider_context = OSSL_PROVIDER_get0_provider_ctx(filter().all);
    *functions = kFunctions.data();
    return 1;
}

}  // namespace

void offer_only_used_keys() {
    if (EVP_default_properties_is_fips_enabled(nullptr) == 1) return;
    if (OSSL_PROVIDER_add_builtin(nullptr, kName, start) == 1)
        filter().ours = OSSL_PROVIDER_try_load(nullptr, kName, 0);
    // Where it cannot be had, the default provider stays: slower, and as good.
    if (!filter().ours) log::warn("openssl.provider_failed", {});
}

}  // namespace cvlan
