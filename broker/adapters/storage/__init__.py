"""What any store holds, sealed."""
