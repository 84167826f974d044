"""Package repositories as places: apt, rpm-md and apk. Their servers are strangers; what they sign is checked."""
