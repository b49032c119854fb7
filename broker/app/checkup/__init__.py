"""What the doctor can tell of a configuration without a broker: the way to WeCom, store, secrets."""
