// SPDX-License-Identifier: Apache-2.0
#include "api/keyring.h"

#include <filesystem>

namespace cvlan::api {

Result<KeyRing::Keys> KeyRing::create(const std::string& tenant_id) {
    auto made = pki::TenantKeys::create(folder_, tenant_id);
    if (!made) return failed(made.error().while_doing("make the tenant's keys"));
    auto keys = std::make_shared<const pki::TenantKeys>(std::move(*made));
    const std::lock_guard lock(mutex_);
    keys_[tenant_id] = keys;
    return keys;
}

KeyRing::Keys KeyRing::known(const std::string& tenant_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(tenant_id);
    return found == keys_.end() ? nullptr : found->second;
}

Result<KeyRing::Keys> KeyRing::of(const std::string& tenant_id) {
    // The id may come from a token that nobody has verified yet: it must not become a path of its
    // choice.
    if (!is_uuid(tenant_id)) return fail(Code::NotFound, "no tenant of that id");
    if (auto keys = known(tenant_id)) return keys;
    auto loaded = pki::TenantKeys::load(folder_, tenant_id);
    if (!loaded) {
        // Whose words are paths of this machine: for the log, not for who asks.
        std::error_code ignored;
        const bool is_known = std::filesystem::exists(folder_ + "/" + tenant_id, ignored);
        if (!is_known && loaded.error().code == Code::NotFound)
            return fail(Code::NotFound, "tenant {}: not found", tenant_id);
        return failed(Error{Code::Internal, loaded.error().message, loaded.error().sys_errno});
    }
    auto keys = std::make_shared<const pki::TenantKeys>(std::move(*loaded));
    const std::lock_guard lock(mutex_);
    return keys_.try_emplace(tenant_id, std::move(keys)).first->second;
}

Result<void> KeyRing::remove(const std::string& tenant_id) {
    {
        const std::lock_guard lock(mutex_);
        keys_.erase(tenant_id);
    }
    return pki::TenantKeys::remove(folder_, tenant_id);
}

Result<model::wire::SignedBytes> KeyRing::sign_map(const std::string& tenant_id,
                                                   std::string payload) {
    auto keys = of(tenant_id);
    if (!keys) return failed(keys.error());
    auto made = pki::sign_bytes((*keys)->map, std::move(payload));
    const auto bytes = as_bytes(made.payload);
    return model::wire::SignedBytes{made.kid, Bytes(bytes.begin(), bytes.end()),
                                    std::move(made.signature)};
}

}  // namespace cvlan::api
